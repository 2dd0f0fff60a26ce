package human

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

var ageUnits = map[string]time.Duration{
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// ParseAge reads a time as "30d" or "12h"; a day has 24 hours.
func ParseAge(text string) (time.Duration, error) {
	number, unit := split(text)
	n, err := strconv.ParseFloat(number, 64)
	each := ageUnits[unit]
	if total := n * float64(each); err == nil && total > 0 && total < math.MaxInt64 {
		return time.Duration(total), nil
	}
	return 0, fmt.Errorf("%q is no time: write a number and s, m, h, d or w, as 30d", text)
}

// layouts are the dates that people write; where no zone is said it is the one here.
var layouts = []string{time.DateOnly, "2006-01-02T15:04", time.RFC3339}

// ParseMoment reads a date, or how long before now it was: "2026-11-21", "1h30m", "2d".
func ParseMoment(text string, now time.Time) (time.Time, error) {
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if d, err := ParseAge(text); err == nil {
		return now.Add(-d), nil
	}
	return now, fmt.Errorf("%q is no time: 30m, 6h, 2d, 1w, 2026-11-21", text)
}

// split cuts a number from its unit.
func split(text string) (number, unit string) {
	text = strings.TrimSpace(text)
	at := strings.IndexFunc(text, unicode.IsLetter)
	if at < 0 {
		return text, ""
	}
	return strings.TrimSpace(text[:at]), text[at:]
}
