//go:build !cuda

package backend

import "errors"

var errNoCUDA = errors.New("this program was built without the tag cuda; `make CUDA=1 build` builds it with")

func checkDevice() error { return errNoCUDA }

func openDevice() (device, error) { return nil, errNoCUDA }
