//go:build linux

package workspace

import (
	"context"
	"errors"
)

func apply(ctx context.Context, req Request) (Report, error) {
	return Report{}, errors.ErrUnsupported
}
