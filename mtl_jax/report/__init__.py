"""Tables, figures and report sections for finished runs."""
