package driver

import (
	"errors"
	"fmt"
	"testing"
)

func TestLost(t *testing.T) {
	tests := []struct {
		code Code
		want bool
	}{
		{InvalidValue, false},
		{OutOfMemory, false},
		{46, false}, // busy: another process has it
		{214, true},
		{219, false}, // a context of a graphics library
		{220, true},
		{226, true},
		{NotReady, false},
		{IllegalAddress, true},
		{701, false}, // a launch with too many registers did not happen
		{712, false}, // memory that is locked already
		{716, true},
		{LaunchFailed, true},
		{720, false},
		{StreamCaptured, false},
		{999, true},
	}
	for _, tt := range tests {
		err := fmt.Errorf("step 3: %w", &Error{Call: "cuLaunchKernel", Code: tt.code})
		if got := Lost(err); got != tt.want {
			t.Errorf("Lost(error %d) = %t, want %t", tt.code, got, tt.want)
		}
	}
	if Lost(errors.New("else")) || Lost(nil) {
		t.Error("Lost of what the driver did not say is true")
	}
}
