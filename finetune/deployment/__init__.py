"""`gpt2 deploy`: from a bundle to a URL on Google Cloud, by driving gcloud."""
