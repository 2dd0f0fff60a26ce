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

// split cuts a number from its unit.
func split(text string) (number, unit string) {
	text = strings.TrimSpace(text)
	at := strings.IndexFunc(text, unicode.IsLetter)
	if at < 0 {
		return text, ""
	}
	return strings.TrimSpace(text[:at]), text[at:]
}
