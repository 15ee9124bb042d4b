"""Sources with random access: what they open is what they load, and reads only what is asked for."""
