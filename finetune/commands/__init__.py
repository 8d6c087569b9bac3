"""The verbs of the command line: options, refusals and what is printed, one verb per file.

Only finetune/__main__.py imports them, and starter.py, which is made of verbs. The work is in the packages beside this one.
"""
