from tests.bad_input import document_table

print(document_table())
