//! The fields of TensorFlow's protocol buffers that smc reads.
