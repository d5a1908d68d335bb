"""Reports of evaluation runs: tables for terminal and Markdown, JUnit XML, and a self-contained HTML page.

`tables` holds the text formats, `html` the page with its templates in ``templates/``, and `plots` the SVG
plots.
"""
