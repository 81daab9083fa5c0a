"""The process that reads an ODX file. Nothing else imports this, nor the library that it needs."""
