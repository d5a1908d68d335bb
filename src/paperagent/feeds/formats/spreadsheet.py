"""Excel workbooks (XLSX): the first sheet that is a table of papers."""

from __future__ import annotations

import datetime as dt
import io
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

from paperagent.errors import FeedError
from paperagent.feeds.formats import XLSX
from paperagent.feeds.formats.table import Row, convert_rows, find_header
from paperagent.feeds.record import FeedEntry

_MAX_UNPACKED_BYTES = 200_000_000
_MAX_MEMBERS = 5_000
_MAX_SHEETS = 50
_MAX_ROWS = 200_000
"""Maximum rows of all sheets. A row can have any number, and missing rows before it are read as empty."""
_MAX_COLUMNS = 500


def parse(data: bytes, label: str) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each row of the first sheet that has a known header.

    Raises:
        FeedError: openpyxl is missing, the file is damaged or too large, or no sheet has a known header.
    """
    try:
        import openpyxl  # noqa: F401 - only whether it is there
    except ImportError:
        raise FeedError(
            f"{label}: an Excel file needs an extra; run: pip install 'paperagent[excel]', or save it as CSV"
        ) from None
    for sheet in _read_sheets(data, label):
        rows = iter(sheet)
        if header := find_header(rows):
            yield from convert_rows(header, rows, XLSX)
            return
    raise FeedError(f"{label}: no sheet has columns for title and abstract; name them so in its first row")


def _read_sheets(data: bytes, label: str) -> list[list[Row]]:
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = [member.file_size for member in archive.infolist()]  # zipfile unpacks no more than this
        if len(sizes) <= _MAX_MEMBERS and sum(sizes) <= _MAX_UNPACKED_BYTES:
            with warnings.catch_warnings(action="ignore"):
                book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
                return [_rows(sheet, label) for sheet in book.worksheets[:_MAX_SHEETS]]
    except FeedError:
        raise
    except Exception as error:  # openpyxl raises errors of many kinds for a damaged file
        raise FeedError(f"{label}: damaged Excel file; save it again, or as CSV") from error
    size = f"{_MAX_UNPACKED_BYTES / 1e6:,.0f} MB"
    raise FeedError(f"{label}: unpacked, it is larger than the limit of {size}; split it")


def _rows(sheet: Any, label: str) -> list[Row]:
    sheet.reset_dimensions()  # ignore the dimensions that the file claims
    rows: list[Row] = []
    for number, values in enumerate(sheet.iter_rows(max_col=_MAX_COLUMNS, values_only=True), start=1):
        if number > _MAX_ROWS:
            raise FeedError(f"{label}: a sheet with more than {_MAX_ROWS:,} rows; split it")
        cells = [_text(value) for value in values]
        if any(cells):
            rows.append((number, cells))
    return rows


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
