package tui

import "context"

// lifetime is that of a place: what the place asked for ends when it is left.
type lifetime struct {
	ctx  context.Context
	quit context.CancelFunc
}

func live(ctx context.Context) lifetime {
	ctx, quit := context.WithCancel(ctx)
	return lifetime{ctx, quit}
}

func (l *lifetime) close() { l.quit() }
