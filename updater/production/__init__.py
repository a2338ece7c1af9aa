"""The live server: connection, clone, transaction. The only room that imports fabric and paramiko."""
