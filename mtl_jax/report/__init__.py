"""Tables, figures and sections made of finished runs."""
