"""The pages for people: their answer, signing up, what is held about them, their receipt."""
