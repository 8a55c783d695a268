// expect: words that no compiler says
int main() { return nonsense; }
