"""dns-pdm: the DNS half of a Sovereign. Zone, records, delegation, the Sovereign's own zone credential."""
