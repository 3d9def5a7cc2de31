// Whether this nvcc can compile what the kernels use.
struct Body {
  int value;
};

__global__ void __launch_bounds__(32, 1) probe(const __grid_constant__ Body body, double* out) {
  double c[2] = {double(body.value), 0};
  asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
      : "+d"(c[0]), "+d"(c[1])
      : "d"(out[0]), "d"(out[1]));
  out[threadIdx.x] = c[0] + c[1];
}

int main() { return 0; }
