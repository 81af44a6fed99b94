"""SOAPNoteAPI's API: notes of uploaded recordings and of text (`/v1`)."""
