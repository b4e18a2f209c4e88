"""Which way of encrypting fits a requirement, and why the others do not.

What lives here: the options and the requirements as two tables, the choice, and the documents that put a choice in
place. What does not: asking and printing (commands.advise), applying and measuring.

Law: pure; every verdict is a line of a table, with the documentation it rests on.
"""
