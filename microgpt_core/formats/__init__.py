"""What a trained model can be exported to: a folder, a JSON file, a program."""
