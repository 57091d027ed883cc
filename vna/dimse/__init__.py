"""The DICOM upper layer and message exchange as a library, with no archive in it (PS3.7, PS3.8)."""
