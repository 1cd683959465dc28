"""Generate bronze at any scale and measure what the built models answer."""
