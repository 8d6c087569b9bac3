"""A fake of gcloud and bq with one project: a state in a file, a transcript, and the flags of Google's reference."""
