"""Reading the files that surveys hand out: one module for each layout."""

from picasssso.io.reading import Recognition, read_images, read_survey, recognise
from picasssso.io.survey_files import SurveyFile, SurveyImage

__all__ = [
    "Recognition",
    "SurveyFile",
    "SurveyImage",
    "read_images",
    "read_survey",
    "recognise",
]
