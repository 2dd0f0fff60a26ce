package hosts

import (
	"fmt"
	"time"
)

// Duration is a time.Duration written as text: "10m", or "0" for none.
type Duration time.Duration

// UnmarshalText reads a duration that is not negative.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration such as 10m", text)
	}
	*d = Duration(v)
	return nil
}

// Patience is how long to go on without contact: "5m", "0" for not at all, or "forever".
type Patience time.Duration

// Forever is the patience that is never used up.
const Forever Patience = -1

// UnmarshalText reads a duration that is not negative, or "forever".
func (p *Patience) UnmarshalText(text []byte) error {
	if string(text) == "forever" {
		*p = Forever
		return nil
	}
	var d Duration
	if err := d.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is neither a duration such as 5m nor forever", text)
	}
	*p = Patience(d)
	return nil
}
