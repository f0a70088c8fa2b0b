// Keeps a mean over all numbers that it was ever given, and prints those of this run that are more than it; see ../../mean.
//
//	smc compile examples/mean/model -o libmean.a
//	cd examples/go
//	CGO_CFLAGS="-I$OLDPWD" CGO_LDFLAGS="$OLDPWD/libmean.a" go build -o mean_go ./mean
//	./mean_go mean.state 1 2 6
//
// The variables of the model are in the file between runs. How many numbers are more than the mean, the call tells.
package main

/*
#include "libmean.h"

// Go may hand its pointers to a C function, but not inside a struct; so the struct is filled here.
static int above(const float *numbers, int64_t n, void *state, float *above, int64_t *found, int64_t *count, float *mean,
                 void *workspace, size_t bytes) {
	struct mean_above io = {0};
	int status;
	io.numbers = numbers;
	io.batch = n;
	io.state = state;
	io.above = above;
	io.count = count;
	io.mean = mean;
	status = mean_above(&io, workspace, bytes);
	*found = io.boolean_mask_Where;
	return status;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"unsafe"
)

// aligned is a slice of n bytes that starts at a multiple of 64, with at least one byte behind it.
func aligned(n uintptr) []byte {
	memory := make([]byte, n+C.SMC_WORKSPACE_ALIGN)
	skip := -uintptr(unsafe.Pointer(&memory[0])) % C.SMC_WORKSPACE_ALIGN
	return memory[skip : skip+n : skip+n+1]
}

func check(status C.int) error {
	if status != C.SMC_OK {
		return errors.New(C.GoString(C.smc_status_text(status)))
	}
	return nil
}

// state is a block with what the file holds, or with the variables as the model stores them where there is no file.
func state(file string) ([]byte, error) {
	block := aligned(uintptr(C.mean_state_bytes()))
	saved, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return block, check(C.mean_state_init(unsafe.Pointer(&block[0]), C.size_t(len(block))))
	}
	if err != nil {
		return nil, err
	}
	from := aligned(uintptr(len(saved)))
	copy(from, saved)
	return block, check(C.mean_state_load(unsafe.Pointer(&block[0]), C.size_t(len(block)), unsafe.Pointer(&from[:1][0]), C.size_t(len(from))))
}

func run() error {
	if len(os.Args) < 2 {
		return fmt.Errorf("usage: %s FILE NUMBER..", os.Args[0])
	}
	block, err := state(os.Args[1])
	if err != nil {
		return err
	}
	numbers := make([]C.float, 0, len(os.Args))
	for _, text := range os.Args[2:] {
		number, err := strconv.ParseFloat(text, 32)
		if err != nil {
			return err
		}
		numbers = append(numbers, C.float(number))
	}
	// An output whose size data decide has room for the most that there can be. Empty ones have an address by one element more.
	above := make([]C.float, len(numbers)+1)
	n := C.int64_t(len(numbers))
	bytes := C.mean_above_workspace(n)
	if bytes == C.SIZE_MAX {
		return errors.New("too many numbers")
	}
	workspace := aligned(uintptr(bytes) + 1)
	var found, count C.int64_t
	var mean C.float
	status := C.above(&numbers[:1][0], n, unsafe.Pointer(&block[0]), &above[0], &found, &count, &mean, unsafe.Pointer(&workspace[0]), bytes)
	if err := check(status); err != nil {
		return err
	}
	fmt.Printf("%d numbers, mean %g; above it:", count, float32(mean))
	for _, number := range above[:found] {
		fmt.Printf(" %g", float32(number))
	}
	fmt.Println()

	saved := aligned(uintptr(len(block)))
	if err := check(C.mean_state_save(unsafe.Pointer(&block[0]), unsafe.Pointer(&saved[0]), C.size_t(len(saved)))); err != nil {
		return err
	}
	return os.WriteFile(os.Args[1], saved, 0o644)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
