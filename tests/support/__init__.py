"""What tests of several rooms stand on: the server as a subprocess, raw HTTP, the table of a run."""
