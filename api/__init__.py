"""The HTTP edge: REST, webhooks, health, and the mounted hub. Translates and answers; decides nothing of its own."""
