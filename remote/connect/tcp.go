package connect

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// again is how long a connect goes unanswered before another begins beside it. The kernel repeats
// its own after 1, 3, 7 and 15 s; a network that comes back between would be missed for long.
const again = time.Second

// dialTCP connects to address within limit. Several connects may be under way; the first that is
// answered counts, a refusal too.
func dialTCP(ctx context.Context, network, address string, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result)
	begin := func() {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, address)
		select {
		case results <- result{conn, err}:
		case <-ctx.Done():
			if err == nil {
				conn.Close()
			}
		}
	}
	every := time.NewTicker(again)
	defer every.Stop()
	for {
		go begin()
		select {
		case r := <-results:
			if r.err != nil && (ctx.Err() != nil || errors.Is(r.err, os.ErrDeadlineExceeded)) {
				return nil, timedOut(ctx)
			}
			return r.conn, r.err
		case <-every.C:
		case <-ctx.Done():
			return nil, timedOut(ctx)
		}
	}
}

// timedOut tells no answer from being called off.
func timedOut(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return errors.New("no answer")
}
