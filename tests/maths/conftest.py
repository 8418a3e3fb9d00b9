"""Properties are tested on machines of any speed: how long values take to be drawn says nothing about the code."""

import hypothesis

hypothesis.settings.register_profile("any speed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("any speed")
