"""Results for people: a table, Markdown, a page."""
