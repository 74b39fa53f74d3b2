"""What each command's page says first: question, answer and controls, from what it wrote."""
