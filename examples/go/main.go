// Classifies handwritten digits; see ../mnist/README.md for the model and the file of digits.
//
//	smc compile examples/mnist/model -o libmnist.a
//	cd examples/go
//	CGO_CFLAGS="-I$OLDPWD" CGO_LDFLAGS="$OLDPWD/libmnist.a" go build -o mnist_go
//	./mnist_go ../mnist/digits.bin
package main

/*
#include "libmnist.h"

// Go may hand its pointers to a C function, but not inside a struct; so the struct is filled here.
static int classify(const float *images, float *probabilities, int64_t batch, void *workspace, size_t bytes) {
	struct mnist_serving_default io = {0};
	io.inputs = images;
	io.output_0 = probabilities;
	io.batch = batch;
	return mnist_serving_default(&io, workspace, bytes);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"unsafe"
)

const (
	pixels  = 28 * 28
	record  = pixels + 1
	classes = 10
)

// workspace is a slice of at least n bytes that starts at a multiple of 64.
func workspace(n uintptr) []byte {
	memory := make([]byte, n+C.SMC_WORKSPACE_ALIGN)
	skip := -uintptr(unsafe.Pointer(&memory[0])) % C.SMC_WORKSPACE_ALIGN
	return memory[skip:]
}

// classify returns the probabilities of the ten classes for each image.
func classify(images []float32) ([]float32, error) {
	batch := C.int64_t(len(images) / pixels)
	if batch == 0 {
		return nil, nil
	}
	bytes := C.mnist_serving_default_workspace(batch)
	if bytes == C.SIZE_MAX {
		return nil, errors.New("too many images")
	}
	probabilities := make([]float32, int(batch)*classes)
	memory := workspace(uintptr(bytes))
	status := C.classify((*C.float)(&images[0]), (*C.float)(&probabilities[0]), batch, unsafe.Pointer(&memory[0]), bytes)
	if status != C.SMC_OK {
		return nil, errors.New(C.GoString(C.smc_status_text(status)))
	}
	return probabilities, nil
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s digits.bin", os.Args[0])
	}
	records, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	count := len(records) / record
	images := make([]float32, 0, count*pixels)
	for i := 0; i < count; i++ {
		for _, grey := range records[i*record : i*record+pixels] {
			images = append(images, float32(grey)/255)
		}
	}
	probabilities, err := classify(images)
	if err != nil {
		return err
	}
	right := 0
	for i := 0; i < count; i++ {
		label, best := int(records[i*record+pixels]), 0
		row := probabilities[i*classes : (i+1)*classes]
		for class, p := range row {
			if p > row[best] {
				best = class
			}
		}
		fmt.Printf("label %d, predicted %d with probability %.4f\n", label, best, row[best])
		if best == label {
			right++
		}
	}
	fmt.Printf("%d of %d digits recognised\n", right, count)
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
