"""Tests of the DICOM upper layer library."""
