"""What a user says about people: carried out as one change of the log each, and taken back."""
