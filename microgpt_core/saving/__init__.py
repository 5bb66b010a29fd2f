"""Models and trainings on disk: folders of plain files, and nothing in them is code."""
