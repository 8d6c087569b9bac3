"""The verbs of the command line: options, refusals and what is printed, one verb per file.

finetune/command_line.py names them, and imports one when it is used. The work is in the packages beside this one.
"""
