"""One file per channel: its params, who may subscribe, its actions. Found and loaded by realtime/channel.py."""
