/* The kernels at one level: this file is compiled once for each, as a module such as _baseline or _avx512, with what
   that level may use. Importing it gives the dictionary `kernels`: "rmsnorm.forward" -> capsule, and
   "rmsnorm.forward workspace" -> capsule where it wants one. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "loops.h"
#include "product.h"

#include "activations.c"
#include "arithmetic.c"
#include "attention.c"
#include "attention_bfloat16.c"
#include "fills.c"
#include "roofs.c"
#include "softmax.c"
#include "sums.c"
/* these use what stands above */
#include "cross_entropy.c"
#include "dropout.c"
#include "embedding.c"
#include "layernorm.c"
#include "linear.c"
#include "activated_linear.c"
#include "linear_cross_entropy.c"
#include "linear_packed.c"
#include "linear_qkv.c"
#include "positions.c"
#include "rmsnorm.c"
#include "residual_norm.c"
#include "sample.c"
#include "swiglu.c"
#include "updates.c"

typedef struct {
    const char *name;
    mg_kernel run;
    mg_workspace workspace;
} entry;

#define FORWARD(op) {#op ".forward", op##_forward, 0}
#define BACKWARD(op) {#op ".backward", op##_backward, 0}
#define BOTH(op) FORWARD(op), BACKWARD(op)

static const entry entries[] = {
    BOTH(add), BOTH(sub), BOTH(mul), BOTH(scale), BOTH(sum), BOTH(mean), BOTH(softmax), BOTH(rmsnorm), BOTH(layernorm),
    BOTH(relu), BOTH(relu2), BOTH(sigmoid), BOTH(tanh), BOTH(silu), BOTH(gelu), BOTH(gelu_tanh), BOTH(swiglu),
    BOTH(embedding), BOTH(dropout), FORWARD(zero), FORWARD(ones_like), FORWARD(cache_write), FORWARD(global_norm),
    FORWARD(clip_factor), FORWARD(sgd_update), FORWARD(adam_update), FORWARD(adamw_update), FORWARD(add_rmsnorm), FORWARD(add_layernorm),
    {"linear.forward", linear_forward, product_workspace},
    {"linear.backward", linear_backward, product_workspace},
    {"linear_bfloat16.forward", linear_bfloat16_forward, product_workspace},
    {"linear_bfloat16.backward", linear_bfloat16_backward, product_workspace},
    {"activated_linear.forward", activated_linear_forward, product_workspace},
    {"activated_linear.backward", activated_linear_backward, activated_linear_backward_workspace},
    {"activated_linear_bfloat16.forward", activated_linear_bfloat16_forward, product_workspace},
    {"activated_linear_bfloat16.backward", activated_linear_bfloat16_backward, activated_linear_backward_workspace},
    {"linear_cross_entropy.forward", linear_cross_entropy_forward, linear_cross_entropy_workspace},
    {"linear_qkv.forward", linear_qkv_forward, product_workspace},
    {"linear_qkv.backward", linear_qkv_backward, product_workspace},
    {"linear_qkv_bfloat16.forward", linear_qkv_bfloat16_forward, linear_qkv_bfloat16_forward_workspace},
    {"linear_qkv_bfloat16.backward", linear_qkv_bfloat16_backward, linear_qkv_bfloat16_backward_workspace},
    FORWARD(pack_weight), FORWARD(pack_weight_bfloat16), FORWARD(linear_packed),
    {"linear_packed_bfloat16.forward", linear_packed_bfloat16_forward, linear_packed_bfloat16_workspace},
    {"matmul.forward", matmul_forward, product_workspace},
    {"matmul.backward", matmul_backward, product_workspace},
    {"attention.forward", attention_forward, attention_forward_workspace},
    {"attention.backward", attention_backward, attention_backward_workspace},
    {"attention_bfloat16.forward", attention_bfloat16_forward, attention_bfloat16_forward_workspace},
    {"attention_bfloat16.backward", attention_bfloat16_backward, attention_bfloat16_backward_workspace},
    {"cross_entropy.forward", cross_entropy_forward, cross_entropy_forward_workspace},
    BACKWARD(cross_entropy),
    {"rope.forward", rope_forward, rope_workspace},
    {"rope.backward", rope_backward, rope_workspace},
    {"sample.forward", sample_forward, sample_workspace},
    {"sinusoidal.forward", sinusoidal_forward, sinusoidal_forward_workspace},
    BACKWARD(sinusoidal),
    ROOFS,
};

static int put_capsule(PyObject *to, const char *name, void *function, const char *kind)
{
    PyObject *capsule = PyCapsule_New(function, kind, NULL);
    int code = capsule ? PyDict_SetItemString(to, name, capsule) : -1;
    Py_XDECREF(capsule);
    return code;
}

static PyObject *make_kernels(void)
{
    PyObject *kernels = PyDict_New();
    for (size_t i = 0; kernels && i < sizeof entries / sizeof *entries; i++) {
        char name[64];
        PyOS_snprintf(name, sizeof name, "%s workspace", entries[i].name);
        if (put_capsule(kernels, entries[i].name, (void *)entries[i].run, MG_CAPSULE) ||
            (entries[i].workspace && put_capsule(kernels, name, (void *)entries[i].workspace, MG_WORKSPACE_CAPSULE)))
            Py_CLEAR(kernels);
    }
    return kernels;
}

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = TEXT(MG_LEVEL), .m_size = -1};

PyMODINIT_FUNC JOINED(PyInit_, MG_LEVEL)(void)
{
    PyObject *made = PyModule_Create(&module), *kernels = made ? make_kernels() : NULL;
    if (!kernels || PyModule_AddObjectRef(made, "kernels", kernels) || PyModule_AddIntConstant(made, "lanes", LANES))
        Py_CLEAR(made);
    Py_XDECREF(kernels);
    return made;
}
