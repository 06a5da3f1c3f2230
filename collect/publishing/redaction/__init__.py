"""People in pictures: found, looked at by a person, made unrecognisable; nothing outside the regions changes."""
