"""The page of training runs, live while they train and as a file afterwards."""
