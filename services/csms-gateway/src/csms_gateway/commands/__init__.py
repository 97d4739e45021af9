"""Commands to chargers: typed and version-neutral, or one OCPP call exactly as given.

kinds.py and mirrored.py say what may be asked for; v16/, v201/ and v21/ translate it; records.py
keeps and sends it; asking.py, reading.py and stream.py are its REST side, shown.py what that shows;
feed.py tells what became of it.
"""
