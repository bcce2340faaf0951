"""What runs on a GPU, whichever runtime has loaded the graphs: TensorRT's plans and ONNX Runtime's sessions alike.

`interface` says what is needed of a device and `cuda` is NVIDIA's; `executable` is a graph that a runtime has loaded
there. `engine` makes such a graph an `Engine`, `double_buffered` one with large results, `device_sampler` whole chunks.
Nothing here is imported by a server that runs on the CPU, and CUDA's binding and `onnx` not before they are needed.
"""
