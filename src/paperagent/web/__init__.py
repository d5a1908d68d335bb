"""The web page: `paperagent serve`.

Server-rendered pages of the papers, answers and issues that the other interfaces show. A GET never changes
anything; everything works without JavaScript. Start reading at `app`, which lists the routes.
"""
