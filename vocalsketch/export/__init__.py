"""Systems as ONNX models, for programs without Python or torch."""
