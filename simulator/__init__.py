"""The outside world over real sockets: five chat platforms and an OpenAI-compatible model, with scripted faults.

It is an independent oracle: it knows the platforms from their documentation and shares no code with the product, so that a
misreading on one side shows. Used by the demo, the tests, the benches and users' own CI; docs/simulator.md has the control
API. Not a load balancer, not a proxy: nothing is passed on to a real platform.
"""
