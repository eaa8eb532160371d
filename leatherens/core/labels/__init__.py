"""Labels drawn by people: from annotators' files to masks, and from masks back to files to correct."""
