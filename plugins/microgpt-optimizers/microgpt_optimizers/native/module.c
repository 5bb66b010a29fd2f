/* The kernels as Python sees them: `functions`, a dictionary of capsules for each op. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kernel.h"

typedef struct entry {
    const char *op;
    mg_kernel forward;
    mg_workspace workspace; /* NULL: none */
} entry;

static const entry ENTRIES[] = {
    {"rmsprop_update", rmsprop_update, NULL},
    {"adagrad_update", adagrad_update, NULL},
    {"lion_update", lion_update, NULL},
    {"clip_value", clip_value, NULL},
    {"average_update", average_update, NULL},
    {"adafactor_update", adafactor_update, adafactor_workspace},
    {"muon_update", muon_update, muon_workspace},
};

/* Put a function into a dictionary; -1 with an exception set where that fails. */
static int put(PyObject *into, const char *key, void *function, const char *capsule)
{
    PyObject *made = PyCapsule_New(function, capsule, NULL);
    const int failed = made == NULL || PyDict_SetItemString(into, key, made) < 0;
    Py_XDECREF(made);
    return failed ? -1 : 0;
}

static int put_entry(PyObject *functions, const entry *one)
{
    PyObject *methods = PyDict_New();
    int failed = methods == NULL || put(methods, "forward", (void *)one->forward, MG_CAPSULE) < 0;
    if (!failed && one->workspace)
        failed = put(methods, "forward workspace", (void *)one->workspace, MG_WORKSPACE_CAPSULE) < 0;
    failed = failed || PyDict_SetItemString(functions, one->op, methods) < 0;
    Py_XDECREF(methods);
    return failed ? -1 : 0;
}

static int fill(PyObject *module)
{
    PyObject *functions = PyDict_New();
    int failed = functions == NULL;
    for (size_t i = 0; !failed && i < sizeof ENTRIES / sizeof *ENTRIES; i++)
        failed = put_entry(functions, &ENTRIES[i]) < 0;
    failed = failed || PyModule_AddObjectRef(module, "functions", functions) < 0;
    Py_XDECREF(functions);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, (void *)fill}, {0, NULL}};

static struct PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = "The update rules in C.",
    .m_slots = SLOTS,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&MODULE); }
