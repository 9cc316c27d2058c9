"""The database: pictures, drafts, submitted masks, projects, reviews, and who did what.

Every function here opens the database that the settings name, does one thing in one transaction, and returns frozen
dataclasses of plain values.
"""
