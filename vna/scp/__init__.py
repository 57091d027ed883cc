"""The DIMSE door: translates messages of PS3.7 to the archive's services and back."""
